// Distributed under the Boost Software License, Version 1.0. See LICENSE.
//
// go-redis (gopkg.in/redis.v5, as Debian has it), alone and as a cluster's client; see
// scripts/clients.
package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"gopkg.in/redis.v5"
)

var name = os.Getenv("KV_NAME")
var large = make([]byte, 2000000)

func demand(condition bool, what string, values ...interface{}) {
	if !condition {
		fmt.Fprintln(os.Stderr, append([]interface{}{"not so:", what}, values...)...)
		os.Exit(1)
	}
}

func fails(err error, words string) {
	demand(err != nil && strings.Contains(err.Error(), words), "an error with "+words, err)
}

// What any client, of one server or of a cluster, does with values.
func values(client redis.Cmdable, prefix string) {
	key := name + ":" + prefix + ":"
	demand(client.Set(key+"a", "1", 0).Val() == "OK", "SET says OK")
	demand(client.Get(key+"a").Val() == "1", "GET answers what was set")
	demand(client.Get(key+"none").Err() == redis.Nil, "an absent key is redis.Nil")
	demand(!client.SetNX(key+"a", "2", 0).Val(), "a condition that fails is false")
	binary := "\r\n$-1\r\n"
	for value := 0; value < 256; value++ {
		binary += string([]byte{byte(value)})
	}
	client.Set(key+binary, binary, 0)
	demand(client.Get(key+binary).Val() == binary, "any bytes are kept")
	demand(client.Set(key+"large", large, 0).Err() == nil, "a large value is taken")
	got, _ := client.Get(key + "large").Bytes()
	demand(bytes.Equal(got, large), "a large value comes back")
	client.Del(key + "n")
	answers, err := client.Pipelined(func(pipeline *redis.Pipeline) error {
		for i := 0; i < 100; i++ {
			pipeline.Incr(key + "n")
		}
		return nil
	})
	demand(err == nil && len(answers) == 100, "a pipeline is answered", err)
	for i, answer := range answers {
		demand(answer.(*redis.IntCmd).Val() == int64(i)+1, "a pipeline answers in order", answer)
	}
	client.Set(key+"word", "word", 0)
	fails(client.Incr(key+"word").Err(), "not an integer")
	fmt.Println("values, pipeline, errors: " + prefix)
}

type transactor interface {
	TxPipelined(func(*redis.Pipeline) error) ([]redis.Cmder, error)
}

func transaction(client transactor) {
	var count *redis.IntCmd
	_, err := client.TxPipelined(func(pipeline *redis.Pipeline) error {
		pipeline.Set(name+":t", "1", 0)
		count = pipeline.Incr(name + ":t")
		return nil
	})
	demand(err == nil && count.Val() == 2, "a transaction answers", err)
	fmt.Println("transaction")
}

// More goroutines than connections.
func pool(client *redis.Client) {
	var wait sync.WaitGroup
	for i := 0; i < 50; i++ {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			key := fmt.Sprintf("%s:pool:%d", name, i)
			demand(client.Set(key, i, 0).Err() == nil, "a pool writes")
			demand(client.Get(key).Val() == fmt.Sprint(i), "a pool reads what it wrote")
		}(i)
	}
	wait.Wait()
	fmt.Println("pool")
}

// Writes until told to stop; then all that was acknowledged has to be there.
func follow(client *redis.ClusterClient) {
	written := 0
	for ; ; written++ {
		if _, err := os.Stat(os.Getenv("KV_STOP")); err == nil {
			break
		}
		key := fmt.Sprintf("%s:follow:%d", name, written)
		deadline := time.Now().Add(30 * time.Second)
		for err := client.Set(key, written, 0).Err(); err != nil; err = client.Set(key, written, 0).Err() {
			demand(time.Now().Before(deadline), "a write is done within 30 s", err)
			time.Sleep(20 * time.Millisecond)
		}
		fmt.Println("acknowledged", written+1)
	}
	for i := 0; i < written; i++ {
		value := client.Get(fmt.Sprintf("%s:follow:%d", name, i)).Val()
		demand(value == fmt.Sprint(i), "a write is there", i, value)
	}
}

func main() {
	rand.Read(large)
	// This version knows no users: the password is that of the user "default".
	password := os.Getenv("KV_PASSWORD")
	leader := redis.NewClient(&redis.Options{Addr: os.Getenv("KV_LEADER"), PoolSize: 10, Password: password})
	values(leader, "single")
	pool(leader)
	follower := redis.NewClient(&redis.Options{Addr: os.Getenv("KV_FOLLOWER"), Password: password})
	fails(follower.Set(name, "x", 0).Err(), "MOVED 0 ")
	if password != "" {
		wrong := redis.NewClient(&redis.Options{Addr: os.Getenv("KV_LEADER"), Password: "wrong"})
		fails(wrong.Get(name).Err(), "WRONGPASS")
	}
	cluster := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: strings.Split(os.Getenv("KV_NODES"), ","), Password: password})
	values(cluster, "cluster")
	transaction(leader)
	transaction(cluster)
	follow(cluster)
	fmt.Println("done")
}
