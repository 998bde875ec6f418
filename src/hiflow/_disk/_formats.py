"""What earlier versions wrote, in today's words: classes have moved and fields were renamed."""

from typing import Any

FORMAT = 5
_SETTINGS_OF_FORMAT_1 = ("rtol", "atol", "steps", "divergence", "chunk_size")

# Fields of later formats, in files of which they are `None`: formats 4 (particles told apart) and 5
# (conditions).
_LATER = {
    "hiflow.networks:EGNN": ("kind", "conditions"),
    "hiflow.networks._egnn:EGNN": ("kind", "conditions"),
    "hiflow.networks._egnn_layer:Layer": ("pairs", "handedness"),
    "hiflow.networks:MLP": ("conditions",),
    "hiflow.networks._mlp:MLP": ("conditions",),
    "hiflow.networks:UNet": ("conditions",),
    "hiflow.networks._unet:UNet": ("conditions",),
}


def in_todays_words(root: Any, version: int) -> Any:
    """The manifest's tree as the newest format has it.

    **Raises:** `ValueError` for a tree that no version wrote.
    """
    try:
        if version == FORMAT:
            return root
        return _with_later_fields(_with_units(_of_format_1(root) if version == 1 else root))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its manifest lacks {error}") from error


def _with_units(code: Any) -> Any:
    """Before format 3 a flow was always in the data's own units."""
    if isinstance(code, dict) and code.get("module") == "hiflow.flow:Flow":
        code["fields"].setdefault("units", None)
    return code


def _with_later_fields(code: Any) -> Any:
    """Before format 4 no network told particles apart, or a molecule from its mirror image; before
    format 5 none was told a condition."""
    if isinstance(code, list):
        return [_with_later_fields(item) for item in code]
    if not isinstance(code, dict):
        return code
    code = {key: _with_later_fields(item) for key, item in code.items()}
    for name in _LATER.get(str(code.get("module")), ()):
        code["fields"].setdefault(name, None)
    return code


def _of_format_1(code: Any) -> Any:
    if isinstance(code, list):
        return [_of_format_1(item) for item in code]
    if not isinstance(code, dict):
        return code
    code = {key: _of_format_1(item) for key, item in code.items()}
    module = code.get("module")
    if isinstance(module, str):
        code["module"] = module.replace("hiflow.divergence:", "hiflow.divergences:")
    if module == "hiflow.flow:Flow":
        fields = code["fields"]
        settings = {name: fields.pop(name) for name in _SETTINGS_OF_FORMAT_1}
        settings["method"] = fields["solver"]
        fields["solver"] = {"module": "hiflow.solver:Solver", "fields": settings}
    if module == "hiflow.networks._mlp:MLP":
        code["fields"]["projects_on"] = code["fields"].pop("group")
    return code
