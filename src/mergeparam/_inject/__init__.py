"""Declaration in, functions and an amended class out."""
