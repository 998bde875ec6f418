"""All that touches the disk: the atomic writer, safe readers, the fingerprint, modules in a file."""

from hiflow._disk._arrays import array_or_archive as array_or_archive
from hiflow._disk._arrays import inflated as inflated
from hiflow._disk._arrays import open_file as open_file
from hiflow._disk._arrays import read_arrays as read_arrays
from hiflow._disk._atomic import write_arrays as write_arrays
from hiflow._disk._atomic import write_json as write_json
from hiflow._disk._atomic import write_text as write_text
from hiflow._disk._atomic import written as written
from hiflow._disk._fingerprint import Fingerprint as Fingerprint
from hiflow._disk._fingerprint import fingerprint as fingerprint
from hiflow._disk._fingerprint import structure as structure
from hiflow._disk._modules import is_whole as is_whole
from hiflow._disk._modules import load as load
from hiflow._disk._modules import save as save
from hiflow._disk._names import function_of_configuration as function_of_configuration
from hiflow._disk._names import trusting as trusting
from hiflow._disk._pickling import register as _register
from hiflow._disk._text import DamagedFile as DamagedFile
from hiflow._disk._text import kept as kept
from hiflow._disk._text import parse_json as parse_json
from hiflow._disk._text import read_json as read_json
from hiflow._disk._text import read_text as read_text

_register()
