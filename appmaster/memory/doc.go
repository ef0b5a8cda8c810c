// Package memory is what one attempt of an application master leaves to the next: how
// many containers are wanted, which run, which leave, whether the end has begun, and how
// others ended.
//
// # One file an attempt
//
// Each attempt writes state-<attempt>.json in the application's staging directory, always
// the whole of it and in one step, and never a file of another attempt. What a person
// asks for is answered when it is in that file.
//
// # Two attempts at once
//
// An attempt that the cluster has given up may live on where it cannot be reached, and
// write. Both keep to one order, so that nothing that was answered is forgotten:
//
//	new attempt N                       old attempt M < N
//	1. write state-N.json, a claim      1. write state-M.json
//	2. read the latest state below N    2. list: is there a file above M?
//	                                       yes: nothing was written that counts; end
//
// If M's list shows no claim of N, then N's claim came after it, and so did N's reading:
// N has read what M wrote. If it shows one, M does not answer, and it does not matter
// whether N has read it. A claim is no state: should N die before it has written more, the
// next attempt reads that of M.
package memory
