"""Read source without importing it: what `mergeparam check` is made of, on `ast` alone."""
