module polygraph.test/gotls

go 1.24
