package appmaster

import (
	"slices"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/identity"
)

// The roles of persons' programs, by what they may do.
var (
	people  = []identity.Role{identity.Client, identity.Operator, identity.Viewer} // look
	changes = []identity.Role{identity.Client, identity.Operator}                  // change how the application runs
)

// who may call a method.
type who struct {
	roles []identity.Role
	owner bool // among clients the application's owner alone
}

// Kinds of callers.
var (
	lookers    = who{roles: people}
	changers   = who{roles: changes}
	ownerAlone = who{roles: []identity.Role{identity.Client}, owner: true} // in whose name the application acts
	schedulers = who{roles: []identity.Role{identity.Scheduler}}
	processes  = who{roles: []identity.Role{identity.Scheduler, identity.Worker}} // of containers
)

// callers says who may call which method. What is not in it nobody may call.
var callers = map[string]who{
	ampb.Session_Info_FullMethodName:     lookers,
	ampb.Session_Watch_FullMethodName:    lookers,
	ampb.Session_Events_FullMethodName:   lookers,
	ampb.Session_Logs_FullMethodName:     lookers,
	ampb.Session_Scale_FullMethodName:    changers,
	ampb.Session_Adapt_FullMethodName:    changers,
	ampb.Session_Stop_FullMethodName:     changers,
	ampb.Session_Kill_FullMethodName:     changers,
	ampb.Session_Retire_FullMethodName:   changers,
	ampb.Session_Delegate_FullMethodName: ownerAlone,
	ampb.Session_Tokens_FullMethodName:   ownerAlone,

	ampb.Control_Attach_FullMethodName: schedulers,

	ampb.Members_Scheduler_FullMethodName: processes,
	ampb.Members_Renew_FullMethodName:     processes,
	ampb.Members_Tokens_FullMethodName:    processes,
}

// includes tells whether somebody is of that kind, in an application of owner's.
func (w who) includes(s identity.Subject, owner string) bool {
	return slices.Contains(w.roles, s.Role) && (!w.owner || s.Name == owner)
}
