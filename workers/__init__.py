"""What runs off the request path: RQ workers that audit and train, and the reconciler."""
