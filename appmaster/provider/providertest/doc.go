// Package providertest is the suite that every provider of containers passes. A
// provider's test calls [Run] with a [Factory], and [Main] at the start of its
// TestMain: the containers run the test binary itself, which then behaves as its
// arguments say.
package providertest
