"""Mail that goes on to another address: who becomes responsible for it, and how its bounces find their way back."""
