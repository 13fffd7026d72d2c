"""DPP models that several problems share."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from problems.arrays import Array
from problems.base import ConicModel
from problems.penalties import Penalty


def weighted_model(theta: Array, smooth: Any, penalty: Penalty, expression: Any, variable: Any) -> ConicModel:
    """min smooth + g(expression; exp(theta)) over `variable`, the parameter being the weights exp(theta)."""
    import cvxpy as cp

    weight = cp.Parameter(theta.shape, nonneg=True)
    objective, constraints = penalty.cvxpy(expression, weight)
    return ConicModel(
        problem=cp.Problem(cp.Minimize(smooth + objective), constraints),
        parameter=weight,
        data_parameters=(),
        variable=variable,
        data=(),
        argument=lambda value: array_namespace(value).exp(value),
        argument_vjp=lambda value, cotangent: np.exp(value) * cotangent,
    )
