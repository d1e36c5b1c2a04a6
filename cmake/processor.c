/* Compiles where the library runs (platform.cmake). */
#include <stddef.h>
#include <features.h>
#if !defined __x86_64__ || defined __ILP32__ || !defined __GLIBC__
#error "not 64-bit x86 with glibc"
#endif
int main(void) { return 0; }
