"""What runs when neither or both have set a parameter."""
