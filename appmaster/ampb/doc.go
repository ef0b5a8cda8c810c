// Package ampb is the application master's API as protobuf messages and gRPC
// services, generated from yarnd/appmaster/appmaster.proto. What each service is
// for, and who may call it, stands there.
package ampb

//go:generate sh -c "cd ../.. && go tool -modfile=tools.mod buf generate --template appmaster/ampb/buf.gen.yaml appmaster/ampb"
