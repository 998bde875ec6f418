"""What comes with hiflow, whatever plug-ins are installed beside it."""


def own(registry) -> list[str]:
    """The names of a family's built-in components."""
    return [name for name in registry.names() if registry.origin(name) == "hiflow"]
