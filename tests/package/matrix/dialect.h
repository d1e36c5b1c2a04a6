/* Included in front of each program: fails if it is not compiled in the DIALECT of its cell, for
 * instance because the package asks for another. */
#ifdef __cplusplus
#if __cplusplus != DIALECT
#error "C++ of another year"
#endif
#elif __STDC_VERSION__ != DIALECT
#error "C of another year"
#endif
