package core

import (
	"fmt"

	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Error is an exception of the ResourceManager: Class is Java's name of it.
type Error struct{ Class, Message string }

func (e *Error) Error() string { return e.Class + ": " + e.Message }

const exceptions = "org.apache.hadoop.yarn.exceptions."

func yarnError(class, format string, args ...any) *Error {
	return &Error{Class: exceptions + class, Message: fmt.Sprintf(format, args...)}
}

func noApp(id yarn.ApplicationID) *Error {
	return yarnError("ApplicationNotFoundException",
		"Application with id '%s' doesn't exist in RM. Please check that the job submission was successful.", id)
}

func noAttempt(id yarn.AttemptID) *Error {
	return yarnError("ApplicationAttemptNotFoundException", "ApplicationAttempt with id '%s' doesn't exist in RM.", id)
}
