from registry.distributions import site

__all__ = ["site"]
