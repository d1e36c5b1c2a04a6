// Records and replays from Go, through cgo.
//
//	PKG_CONFIG_PATH=/opt/wal/lib/pkgconfig go build -o engine .
//	LD_LIBRARY_PATH=/opt/wal/lib ./engine DIRECTORY
//
// Run it again, and it continues where the log ends.
package main

import (
	"fmt"
	"os"
	"runtime"
)

// engine knows the quantity that was ordered in all.
type engine struct {
	requests uint64
	quantity int64
}

func (e *engine) actOn(request *Event) {
	e.requests++
	e.quantity += int64(request.quantity)
}

// run recovers, replays, records a thousand requests and shuts down.
func run(dir string) error {
	log, err := Open(dir)
	if err != nil {
		return err
	}
	var e engine
	if err := Replay(dir, e.actOn); err != nil {
		return err
	}
	id, err := log.LastID()
	if err != nil {
		return err
	}
	fmt.Printf("replayed %d requests, quantity %d\n", e.requests, e.quantity)

	// A call from Go to C takes tens of nanoseconds, as much as an append: append what has come in
	// together in one call.
	batch := make([]Event, 100)
	for n := 0; n < 10; n++ {
		for i := range batch {
			id++
			batch[i] = NewEvent(id, 10_050, 100)
		}
		if err := log.Append(batch); err != nil {
			return err
		}
		for i := range batch {
			e.actOn(&batch[i])
		}
	}
	if err := log.WaitDurable(id); err != nil {
		return err
	}
	fmt.Printf("recorded up to %d, quantity %d\n", id, e.quantity)
	return log.Shutdown()
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: engine DIRECTORY")
		os.Exit(2)
	}
	// The words of a failure are those of the thread that made the call, and one thread appends: so
	// a goroutine that uses a log stays on its thread.
	runtime.LockOSThread()
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
}
