// Package e2e tests the main job from outside, as its users do it: yarnd on an
// edge node against real Hadoop daemons, with what they and their administrators
// would look at to see whether it is true.
//
// The tests carry the tag hadoop and need bin/ to be built.
package e2e
