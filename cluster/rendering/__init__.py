"""A step to Kubernetes objects, as plain values: pure, the same objects for the same arguments.

render          what one step needs, in the order of creation, the main object last
main_object     which object that is; object_name is its name
losses          what the job file asks and this target cannot express
staging_pod     through which files reach a ``pvc://`` store
"""

from cluster.names import label_value, object_name
from cluster.rendering.places import CODE, STORE, Places
from cluster.rendering.staging import staging_pod
from cluster.rendering.step import losses, main_object, render

__all__ = ["CODE", "STORE", "Places", "label_value", "losses", "main_object", "object_name", "render", "staging_pod"]
