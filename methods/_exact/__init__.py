"""Compiled exact solution of the box dual and its adjoint; import the modules inside `prepare`, for they load numba."""
