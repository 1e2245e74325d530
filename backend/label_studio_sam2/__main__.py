"""`python -m label_studio_sam2` is the command `label-studio-sam2`."""

from label_studio_sam2.cli import main

if __name__ == "__main__":
    main()
