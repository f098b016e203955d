// Carries the precompiled header of Halide.h; holds no code.
