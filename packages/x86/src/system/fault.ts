/** The only object that helpers throw: an x86 exception has been recorded in env. Preallocated: throwing it is cheap. */
export const CPU_FAULT: Error = new Error('x86 exception recorded in env');
