"""What runs in a call where neither or both places have set a parameter."""
