// A client and a server for the live tests of Go's crypto/tls.
//
//	gotls serve CERTIFICATE KEY           prints its address; answers a POST with its body, over HTTP/2 and 1.1
//	gotls echo CERTIFICATE KEY            prints its address; sends back what comes, without HTTP
//	gotls http1|http2 ADDRESS CA COUNT    COUNT requests at once
//	gotls raw ADDRESS CA COUNT            COUNT connections at once, each read into a buffer on a small stack
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

// What call number i says: of another size each time, on both sides of 16 KiB.
func content(i int) []byte {
	unit := []byte(fmt.Sprintf("%08d|", i))
	return bytes.Repeat(unit, 1+(i*977)%5000)
}

func trust(file string) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(must(os.ReadFile(file)))
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

func serve(certificate, key string, raw bool) {
	config := &tls.Config{Certificates: []tls.Certificate{must(tls.LoadX509KeyPair(certificate, key))}}
	if !raw {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	listener := must(tls.Listen("tcp", "127.0.0.1:0", config))
	fmt.Println(listener.Addr())
	if raw {
		for {
			connection := must(listener.Accept())
			go func() {
				io.Copy(connection, connection)
				connection.Close()
			}()
		}
	}
	handler := http.HandlerFunc(func(to http.ResponseWriter, request *http.Request) {
		to.Write(must(io.ReadAll(request.Body)))
	})
	panic((&http.Server{Handler: handler}).Serve(listener))
}

func call(client *http.Client, address string, i int) {
	sent := content(i)
	answer := must(client.Post("https://"+address+"/", "text/plain", bytes.NewReader(sent)))
	got := must(io.ReadAll(answer.Body))
	answer.Body.Close()
	if !bytes.Equal(sent, got) {
		fmt.Fprintln(os.Stderr, "another answer")
		os.Exit(1)
	}
	fmt.Println(answer.Proto)
}

// One Read into a buffer that lies on this goroutine's own stack, which is small and grows, moving the buffer.
func receive(connection *tls.Conn, into *bytes.Buffer, done chan bool) {
	var buffer [700]byte
	count, err := connection.Read(buffer[:])
	into.Write(buffer[:count])
	done <- err == nil
}

func talk(address string, config *tls.Config, i int) {
	connection := must(tls.Dial("tcp", address, config))
	sent := content(i)
	go func() {
		for at := 0; at < len(sent); at += 5000 {
			must(connection.Write(sent[at:min(at+5000, len(sent))]))
			time.Sleep(time.Millisecond)
		}
	}()
	var got bytes.Buffer
	done := make(chan bool)
	for got.Len() < len(sent) {
		go receive(connection, &got, done)
		if !<-done {
			break
		}
	}
	if !bytes.Equal(sent, got.Bytes()) {
		fmt.Fprintln(os.Stderr, "another answer")
		os.Exit(1)
	}
	connection.Close()
}

func main() {
	mode := os.Args[1]
	if mode == "serve" || mode == "echo" {
		serve(os.Args[2], os.Args[3], mode == "echo")
	}
	address, config, count := os.Args[2], trust(os.Args[3]), must(strconv.Atoi(os.Args[4]))
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: mode == "http2", MaxIdleConnsPerHost: 100,
	}}
	var all sync.WaitGroup
	for i := range count {
		all.Add(1)
		go func() {
			defer all.Done()
			if mode == "raw" {
				talk(address, config, i)
			} else {
				call(client, address, i)
			}
		}()
	}
	all.Wait()
}
