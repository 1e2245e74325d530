"""Files to pixels, without torch: pictures, and the frames of videos."""
