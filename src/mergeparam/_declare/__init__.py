"""Class and names in, a checked declaration out."""
