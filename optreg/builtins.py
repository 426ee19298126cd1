"""The built-ins, declared as any package declares what it offers."""

from __future__ import annotations

from optreg.builtin_defaults import NAMED_DEFAULTS
from optreg.declarations import BackendSpec, CommandSpec, HookSpec, OptimizerSpec, TaskSpec
from optreg.hookspecs import hookimpl

_ADAM = "Kingma & Ba 2015, arXiv:1412.6980"
_GRAVES = "Graves 2013, arXiv:1308.0850"
_SIGN = "Bernstein et al. 2018, arXiv:1802.04434"


@hookimpl
def optreg_optimizers() -> list[OptimizerSpec]:
    """The optimizers, in the order of their families."""
    return [
        _optimizer("sgd", "sgd:SGD", "A step down the gradient.", "Robbins & Monro 1951"),
        _optimizer("momentum_sgd", "sgd:MomentumSGD", "Steps along a decaying sum of the gradients.", "Polyak 1964"),
        _optimizer(
            "nesterov_ag",
            "sgd:NesterovAG",
            "Momentum that looks one step ahead.",
            "Nesterov 1983; Sutskever et al. 2013",
        ),
        _optimizer(
            "adagrad",
            "adagrad:AdaGrad",
            "Steps divided by the root of the sum of all squared gradients.",
            "Duchi et al. 2011",
        ),
        _optimizer(
            "adadelta",
            "adagrad:AdaDelta",
            "Steps in the parameter's own units, from averages of squared gradients and steps.",
            "Zeiler 2012, arXiv:1212.5701",
        ),
        _optimizer(
            "rmsprop",
            "rmsprop:RMSprop",
            "Steps divided by a running root mean square of the gradient.",
            "Tieleman & Hinton 2012",
        ),
        _optimizer(
            "rmsprop_graves",
            "rmsprop:RMSpropGraves",
            "RMSprop, centered, with momentum, and with eps inside the root.",
            _GRAVES,
        ),
        _optimizer(
            "smorms3",
            "rmsprop:SMORMS3",
            "RMSprop with longer averages and shorter steps where the gradient is noisy.",
            "Funk 2015",
        ),
        _optimizer("adam", "adam:Adam", "Averaged gradients, divided by the root of their averaged squares.", _ADAM),
        _optimizer(
            "adamw",
            "adam:AdamW",
            "Adam with weight decay that does not pass through the averages.",
            "Loshchilov & Hutter 2019, arXiv:1711.05101",
        ),
        _optimizer("amsgrad", "adam:AMSGrad", "Adam whose divisor never falls.", "Reddi et al. 2018, arXiv:1904.09237"),
        _optimizer(
            "adamax", "adam:Adamax", "Adam with the largest recent gradient in place of the root mean square.", _ADAM
        ),
        _optimizer("nadam", "nadam:NAdam", "Adam that looks one step ahead.", "Dozat 2016"),
        _optimizer(
            "radam",
            "radam:RAdam",
            "Adam, rectified while its averages rest on few gradients.",
            "Liu et al. 2020, arXiv:1908.03265",
        ),
        _optimizer(
            "adabelief",
            "adabelief:AdaBelief",
            "Adam divided by how far gradients stray from their average.",
            "Zhuang et al. 2020, arXiv:2010.07468",
        ),
        _optimizer(
            "adabound",
            "adabound:AdaBound",
            "Adam that turns into SGD as bounds on its rates close in.",
            "Luo et al. 2019, arXiv:1902.09843",
        ),
        _optimizer(
            "yogi",
            "yogi:Yogi",
            "Adam whose average of squares changes slowly in both directions.",
            "Zaheer et al. 2018",
        ),
        _optimizer(
            "lion",
            "sign:Lion",
            "The sign of one average of the gradient; another one is remembered.",
            "Chen et al. 2023, arXiv:2302.06675",
        ),
        _optimizer("signsgd", "sign:SignSGD", "Only the signs of the gradient.", _SIGN),
        _optimizer("signum", "sign:Signum", "Only the signs of an average of the gradient.", _SIGN),
        _optimizer(
            "rprop",
            "rprop:Rprop",
            "Each element has a step of its own, longer while the gradient keeps its sign.",
            "Riedmiller & Braun 1993",
        ),
        _optimizer(
            "asgd",
            "asgd:ASGD",
            "SGD with a falling rate, and the average of where it has been.",
            "Polyak & Juditsky 1992",
        ),
        _optimizer(
            "adan",
            "adan:Adan",
            "Averages of the gradient, of its change, and of the square of both together.",
            "Xie et al. 2022, arXiv:2208.06677",
        ),
        _optimizer(
            "ademamix",
            "ademamix:AdEMAMix",
            "AdamW with a second, much slower average mixed in.",
            "Pagliardini et al. 2024, arXiv:2409.03137",
        ),
        _optimizer(
            "adopt",
            "adopt:ADOPT",
            "Adam that divides by the average of the step before.",
            "Taniguchi et al. 2024, arXiv:2411.02853",
        ),
        _optimizer(
            "laprop",
            "laprop:LaProp",
            "Adam that normalizes gradients before it averages them.",
            "Ziyin et al. 2020, arXiv:2002.04839",
        ),
        _optimizer(
            "grams",
            "grams:Grams",
            "Steps as long as AdamW's, in the direction of the present gradient.",
            "Cao et al. 2024, arXiv:2412.17107",
        ),
        _optimizer(
            "msvag",
            "msvag:MSVAG",
            "Momentum, scaled element by element by how sure its mean is.",
            "Balles & Hennig 2018, arXiv:1705.07774",
        ),
        _optimizer(
            "spam",
            "spam:SPAM",
            "Adam that clips spikes and forgets its averages every few hundred steps.",
            "Huang et al. 2025, arXiv:2501.06842",
        ),
        _optimizer(
            "sophia",
            "sophia:Sophia",
            "Momentum divided by an estimate of the curvature, and clipped.",
            "Liu et al. 2023, arXiv:2305.14342",
        ),
        _optimizer(
            "lars",
            "lamb:LARS",
            "Momentum of gradients as long as a fraction of their parameter.",
            "You et al. 2017, arXiv:1708.03888",
        ),
        _optimizer(
            "lamb",
            "lamb:LAMB",
            "AdamW with steps as long as a fraction of their parameter.",
            "You et al. 2019, arXiv:1904.00962",
        ),
        _optimizer(
            "novograd",
            "novograd:NovoGrad",
            "Averaged gradients, divided by a running norm of their whole array.",
            "Ginsburg et al. 2019, arXiv:1905.11286",
        ),
        _optimizer(
            "stable_adamw",
            "stable_adamw:StableAdamW",
            "AdamW that slows down where gradients outgrow the average of their squares.",
            "Wortsman et al. 2023, arXiv:2304.13013",
        ),
        _optimizer(
            "adafactor",
            "factored:Adafactor",
            "Steps scaled by the mean squares of rows and columns, which take hardly any memory.",
            "Shazeer & Stern 2018, arXiv:1804.04235",
        ),
        _optimizer(
            "came",
            "factored:CAME",
            "Adafactor with momentum, which counts less where it misses the updates.",
            "Luo et al. 2023, arXiv:2307.02047",
        ),
        _optimizer(
            "mars",
            "mars:MARS",
            "Adam on gradients corrected by their change since the step before.",
            "Yuan et al. 2024, arXiv:2411.10438",
        ),
        _optimizer(
            "tiger",
            "tiger:Tiger",
            "The sign of one average, times the root mean square of the parameter.",
            "Su 2023, https://github.com/bojone/tiger",
        ),
        _optimizer(
            "prodigy",
            "prodigy:Prodigy",
            "Adam that estimates how far it is to the solution, so that lr may stay 1.",
            "Mishchenko & Defazio 2023, arXiv:2306.06101",
        ),
        _optimizer(
            "dadapt_sgd",
            "dadapt:DAdaptSGD",
            "SGD that estimates how far it is to the solution, so that lr may stay 1.",
            "Defazio & Mishchenko 2023, arXiv:2301.07733",
        ),
        _optimizer(
            "dadapt_adam",
            "dadapt:DAdaptAdam",
            "Adam that estimates how far it is to the solution, by D-Adaptation.",
            "Defazio & Mishchenko 2023, arXiv:2301.07733",
        ),
        _optimizer(
            "schedule_free_sgd",
            "schedule_free:ScheduleFreeSGD",
            "Gradient descent that needs no schedule: it evaluates with an average of its steps.",
            "Defazio et al. 2024, arXiv:2405.15682",
        ),
        _optimizer(
            "schedule_free_adamw",
            "schedule_free:ScheduleFreeAdamW",
            "AdamW that needs no schedule: it evaluates with an average of its steps.",
            "Defazio et al. 2024, arXiv:2405.15682",
        ),
        _optimizer(
            "lbfgs",
            "lbfgs:LBFGS",
            "Newton's direction from the last changes of the gradient, and a line search.",
            "Liu & Nocedal 1989",
        ),
    ]


def _optimizer(name: str, target: str, summary: str, paper: str) -> OptimizerSpec:
    return OptimizerSpec(name, f"optreg.optimizers.{target}", summary, paper, defaults=NAMED_DEFAULTS.get(name, {}))


@hookimpl
def optreg_hooks() -> list[HookSpec]:
    """The hooks."""
    averages, units = "optreg.hooks.averages", "optreg.hooks.units"
    return [
        HookSpec("weight_decay", "optreg.hooks.decay:WeightDecay", "Add the parameter, scaled, to its gradient (L2)."),
        HookSpec("lasso", "optreg.hooks.decay:Lasso", "Add the parameter's sign, scaled, to its gradient (L1)."),
        HookSpec(
            "gradient_clipping",
            "optreg.hooks.clipping:GradientClipping",
            "Scale all gradients together, so that their global norm is at most a threshold.",
            "Pascanu et al. 2013, arXiv:1211.5063",
        ),
        HookSpec(
            "gradient_hard_clipping",
            "optreg.hooks.clipping:GradientHardClipping",
            "Clip every element of every gradient to an interval.",
        ),
        HookSpec(
            "adaptive_gradient_clipping",
            f"{units}:AdaptiveGradientClipping",
            "Scale the gradient of each unit down to a fraction of the unit's norm.",
            "Brock et al. 2021, arXiv:2102.06171",
        ),
        HookSpec(
            "gradient_centralization",
            f"{units}:GradientCentralization",
            "Subtract the mean of each unit's gradient.",
            "Yong et al. 2020, arXiv:2004.01461",
        ),
        HookSpec(
            "gradient_noise",
            "optreg.hooks.noise:GradientNoise",
            "Add Gaussian noise that decays with the step.",
            "Neelakantan et al. 2015, arXiv:1511.06807",
        ),
        HookSpec(
            "skip_nonfinite",
            "optreg.hooks.nonfinite:SkipNonfinite",
            "Make no step if a gradient holds a NaN or an infinity.",
        ),
        HookSpec(
            "gradient_accumulation",
            "optreg.hooks.accumulation:GradientAccumulation",
            "Make one step of every few calls, with the mean of their gradients.",
        ),
        HookSpec(
            "sam",
            "optreg.hooks.sharpness:SAM",
            "Take the gradients at the worst point of a ball around the parameters.",
            "Foret et al. 2021, arXiv:2010.01412",
        ),
        HookSpec(
            "asam",
            "optreg.hooks.sharpness:ASAM",
            "Take the gradients at the worst point of a region as wide as the weights are large.",
            "Kwon et al. 2021, arXiv:2102.11600",
        ),
        HookSpec(
            "exponential_moving_average",
            f"{averages}:ExponentialMovingAverage",
            "Keep an average of each parameter that forgets exponentially, to evaluate with.",
            "Polyak & Juditsky 1992; Tarvainen & Valpola 2017, arXiv:1703.01780",
        ),
        HookSpec(
            "stochastic_weight_average",
            f"{averages}:StochasticWeightAverage",
            "Keep the mean of each parameter over some of the steps, to evaluate with.",
            "Izmailov et al. 2018, arXiv:1803.05407",
        ),
        HookSpec(
            "cautious",
            "optreg.hooks.cautious:Cautious",
            "Leave out what of an update goes against the gradient.",
            "Liang et al. 2024, arXiv:2411.16085",
        ),
        HookSpec(
            "lookahead",
            f"{averages}:Lookahead",
            "Follow with slow weights, and go back to these every k steps.",
            "Zhang et al. 2019, arXiv:1907.08610",
        ),
    ]


@hookimpl
def optreg_backends() -> list[BackendSpec]:
    """The backends."""
    return [
        BackendSpec(
            "numpy", "optreg.backends.numpy:NumpyBackend", "Rules as they are written, in blocks that stay in cache."
        ),
        BackendSpec(
            "numba", "optreg.backends.numba:NumbaBackend", "Rules compiled to one loop over memory, on several threads."
        ),
        BackendSpec("cupy", "optreg.backends.cupy:CupyBackend", "Rules compiled to one CUDA launch on each device."),
    ]


@hookimpl
def optreg_tasks() -> list[TaskSpec]:
    """The problems of ``optreg compare``."""
    classification, surfaces = "optreg.compare.classification", "optreg.compare.surfaces"
    return [
        TaskSpec("digits", f"{classification}:Digits", "A small neural network on 8 × 8 handwritten digits."),
        TaskSpec("digits-softmax", f"{classification}:DigitsSoftmax", "Softmax regression on the same digits."),
        TaskSpec(
            "breast-cancer", f"{classification}:BreastCancer", "Logistic regression: a tumor, benign or malignant."
        ),
        TaskSpec("rosenbrock", f"{surfaces}:Rosenbrock", "A narrow curved valley of two variables."),
        TaskSpec("beale", f"{surfaces}:Beale", "A plateau with steep corners, of two variables."),
    ]


@hookimpl
def optreg_commands() -> list[CommandSpec]:
    """The commands of the command line, in the order of ``optreg --help``."""
    return [
        CommandSpec("list", "optreg.cli.listing:list_names", "List optimizers, and all else that has a name."),
        CommandSpec("info", "optreg.cli.info:info", "Describe an optimizer: hyperparameters, paper, package."),
        CommandSpec(
            "compare", "optreg.cli.compare:compare", "Train the same model with several optimizers; table and plot."
        ),
        CommandSpec("bench", "optreg.cli.bench:bench", "Measure backends and other packages on this machine."),
        CommandSpec("kernel", "optreg.cli.kernel:kernel", "Print the kernel that is compiled for an optimizer."),
        CommandSpec("check", "optreg.cli.check:check", "Run the conformance checks of a name, or of a whole package."),
        CommandSpec("new", "optreg.cli.new:new", "Write a package with an optimizer, a hook and tests."),
        CommandSpec("plugins", "optreg.cli.plugins:plugins", "Show the packages that offer names."),
        CommandSpec("why", "optreg.cli.why:why", "Explain what a name means, and why."),
        CommandSpec("doctor", "optreg.cli.doctor:doctor", "Look for what is broken; exit status 1 if something is."),
    ]
