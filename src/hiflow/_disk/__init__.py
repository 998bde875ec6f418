"""All that touches the disk: the one atomic writer, the one fingerprint, and modules in a file."""

from hiflow._disk._atomic import write_arrays as write_arrays
from hiflow._disk._atomic import write_json as write_json
from hiflow._disk._atomic import write_text as write_text
from hiflow._disk._atomic import written as written
from hiflow._disk._fingerprint import Fingerprint as Fingerprint
from hiflow._disk._fingerprint import fingerprint as fingerprint
from hiflow._disk._fingerprint import structure as structure
from hiflow._disk._modules import load as load
from hiflow._disk._modules import save as save
