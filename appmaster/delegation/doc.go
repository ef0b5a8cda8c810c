// Package delegation keeps an application in tokens by which it acts for its owner, for longer than a token lives.
//
// Whoever submits gives it the first ones. Newer ones come in one of two ways:
//
//	a source         the owner's keytab, which the application master alone has: new ones when three quarters of the
//	                 time of the present ones have passed, when these are refused before their time, and at once in an
//	                 attempt that was started with old ones
//	somebody pushes  the owner, with a ticket of his own (yarnd renew), or any command of his that has one
//
// Those of the submission are renewed by YARN, which tells nobody if it cannot. So only their last day is known, and the keeper
// looks whether the cluster takes them (watch.go). Those that a person brings are good for a day, which is known, and when it
// is about to be over the first ones are used again where they are good.
//
// They go from here into the launch context of each new container, and to the containers that run: these ask, sooner the
// less time their tokens have (CheckIn), and write what they get into the file of HADOOP_TOKEN_FILE_LOCATION, where whatever
// runs in them looks for it.
package delegation
