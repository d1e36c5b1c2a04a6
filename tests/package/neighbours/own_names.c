/* Functions with the names of those that the library brings along. They are the engine's. */

#include <stdio.h>
#include <stdlib.h>

static int from_engine;

void own_calls(int allowed) { from_engine = allowed; }

static int called(const char *name)
{
    if (!from_engine) {
        fprintf(stderr, "the library called the engine's %s\n", name);
        abort();
    }
    return 7;
}

#define OWN(name) int name(void) { return called(#name); }
#include "own_names.inc" /* OWN(name), for each that cargo's archive has */
