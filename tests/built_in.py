"""What comes with hiflow, whatever plug-ins are installed beside it."""


def own(registry) -> list[str]:
    """The names of a family's built-in components."""
    return [name for name in registry.names() if registry.origin(name) == "hiflow"]


def package(registry) -> str:
    """The package that re-exports a family's components, as `hiflow.paths` for end laws."""
    return registry.base.__module__.rpartition("._")[0]
