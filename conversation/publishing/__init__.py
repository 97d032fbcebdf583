"""Publishing while people are in the middle of a conversation: what a new bundle means for each of them."""
