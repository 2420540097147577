// The functions are in Swift, in the target PandoC; this target is the header that they are held against.
#include "pando.h"
