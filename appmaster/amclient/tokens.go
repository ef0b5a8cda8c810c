package amclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/delegation"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/identity"
)

// Delegate brings delegation tokens to the application, which are good until then, and tells until when those are that it
// has now. Those that it need not take it does not, if its own are known to be good for longer: it has kept these.
func (c *Client) Delegate(ctx context.Context, tokens *token.Credentials, until time.Time, must bool) (good time.Time, kept bool, err error) {
	var reply *ampb.DelegateReply
	err = c.call(ctx, "hand over new tokens", func(ctx context.Context) (err error) {
		reply, err = c.session.Delegate(ctx, &ampb.DelegateRequest{Tokens: tokens.Append(nil, token.V0), Until: timestamppb.New(until), Must: must})
		return err
	})
	return reply.GetUntil().AsTime(), reply.GetKept(), err
}

// KeepTokens keeps the delegation tokens in the file at path the newest that the application master has, for as long as
// the context lives: whatever runs beside this process looks there. A file without such tokens needs none. Other tokens
// and secrets in it stay. Each of copies is a file that gets the delegation tokens alone whenever newer ones came.
func KeepTokens(ctx context.Context, c *Client, path string, copies ...string) {
	creds, err := token.ReadFile(path)
	if err != nil || len(creds.Delegated().Tokens) == 0 {
		return
	}
	wait := delegation.Soon // an attempt may have been given newer ones since this container was started
	for {
		timer := time.NewTimer(wait + rand.N(wait/8+1)) // #nosec G404 -- spreads what all containers do
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		next, err := c.renewTokens(ctx, path, copies)
		if err != nil {
			if ctx.Err() == nil {
				c.opt.Log.Warn("cannot ask for newer delegation tokens yet", "err", err)
			}
			next = min(2*wait, time.Minute)
		} else if next == 0 {
			return
		}
		wait = next
	}
}

// renewTokens asks once, and tells in how long to ask again.
func (c *Client) renewTokens(ctx context.Context, path string, copies []string) (time.Duration, error) {
	creds, err := token.ReadFile(path)
	if err != nil {
		return 0, err
	}
	newer, again, err := c.NewerTokens(ctx, creds)
	if err != nil || newer == nil {
		return again, err
	}
	creds.Merge(newer)
	c.opt.Log.Info("newer delegation tokens came")
	for _, name := range copies { // before path, by which we tell whether there are newer ones
		if err := replaceFile(name, creds.Delegated().Append(nil, token.V0)); err != nil {
			return 0, err
		}
	}
	return again, replaceFile(path, creds.Append(nil, token.V0))
}

// NewerTokens asks once for others than who has these, and tells in how long to ask again, 0 for never. nil: there are none.
func (c *Client) NewerTokens(ctx context.Context, has *token.Credentials) (newer *token.Credentials, again time.Duration, err error) {
	ask := c.members.Tokens
	if c.id.Subject().Role == identity.Client {
		ask = c.session.Tokens
	}
	var reply *ampb.TokensReply
	err = c.call(ctx, "ask for newer tokens", func(ctx context.Context) (err error) {
		reply, err = ask(ctx, &ampb.TokensRequest{Digest: delegation.Digest(has)})
		return err
	})
	if err == nil && len(reply.Tokens) > 0 {
		newer, err = token.Parse(reply.Tokens)
	}
	return newer, reply.GetAskAgain().AsDuration(), err
}

// replaceFile puts another owner-only file in the place of one, in one step.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tokens-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
