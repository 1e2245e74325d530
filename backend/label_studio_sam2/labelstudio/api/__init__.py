"""Label Studio's HTTP interface: the bodies that it sends us, and the calls that we make."""
