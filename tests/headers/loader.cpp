/* The same as C++. */
#include "loader.c"
