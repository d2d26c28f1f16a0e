"""Price lists: importing what vendors publish, and looking for what is wrong with a deck."""
