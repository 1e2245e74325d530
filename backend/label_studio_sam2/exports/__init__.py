"""What leaves for training and for people to look at: masks of pictures, masklets of videos."""
