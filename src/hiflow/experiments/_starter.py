"""The file that `hiflow init` writes: it trains as it stands, and says what else it could say.

Imported without JAX.
"""

STARTER = """\
# An experiment: what its arms share, and the arms that are compared. Train it by
#
#     hiflow train experiment.toml                            # under a minute on two cores
#     hiflow train experiment.toml --dry-run                  # what would run, and for how long
#     hiflow train experiment.toml --set training.steps=500   # with another setting
#
# `hiflow list` names every component, `hiflow schema` describes every table to an editor.

seeds = [0]                       # every arm is trained once per seed; three give honest errors

[energy]                          # in units of kT. Leave it out for points whose energy isn't known.
name = "ring"                     # or gaussian-mixture, lennard-jones, one of your own, ...
radius = 2.0                      # its arguments
width = 0.08

[data]
size = 20                         # training points, drawn from the energy ...
# file = "points.npy"             # ... or yours: .npy, .npz of shape (n, *event), .xyz, .dcd, ...
# condition = "label"             # what the file tells of every point, for flows of x given it
test = 500                        # points that likelihoods are of
validation = 200                  # points that weights are chosen by, never the test points

[prior]
name = "normal"                   # for particles "centred-normal"

[network]
name = "mlp"                      # "egnn" for particles, "unet" for images
width = 64
depth = 2

[training]
steps = 2_000
batch_size = 128
learning_rate = 1e-3              # or {name = "linear_schedule", init_value = 1e-3, ...}
validate_at = 250
keep = "best"                     # return the weights of the lowest validation NLL
patience = 4                      # and end after four validations without a lower one
# coupling = "minibatch-ot"       # how points meet prior samples; "independent" by default

[evaluation]                      # how likelihoods are computed
rtol = 1e-4
atol = 1e-4

[[arm]]                           # the first arm is the one that others are compared with
label = "OT-FM"
path = {name = "optimal-transport"}

[[arm]]                           # straight along the ring, stiff across it: the Hessian says so
label = "HI-FM"
path = {name = "langevin", curvature = {name = "absolute", shift = 1.0}}
"""
