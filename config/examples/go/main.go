// A Go site behind Tollgate: a page for everybody and a report for those who paid.
//
// There is no billing code. Tollgate lets /premium through for paying accounts only and says who asks in headers. What
// matters is taken from the signed assertion alone, so that nobody who reaches this process past the gate, or through a
// gateway that lets a header through, can claim anything. A gateway may send a header empty where there is nothing.
//
//	tollgate run --config tollgate.toml
//	SITE_URL=http://127.0.0.1:8080 PORT=3000 go run .
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Keys change seldom; a key that we do not know is asked for this often at most.
const refetchMin = 10 * time.Second

// Visitor is who asks: the verified claims.
type Visitor struct {
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"`
	Account  string   `json:"sub"`
	Expires  int64    `json:"exp"`
	Tier     string   `json:"tier"`
	Features []string `json:"features"`
}

// Gate verifies assertions.
type Gate struct {
	siteURL, audience string
	client            http.Client
	lock              sync.Mutex
	keys              map[string]ed25519.PublicKey
	fetched           time.Time
}

var errInvalid = errors.New("the assertion does not verify")

// Verify returns the claims of an assertion, if Tollgate signed it for this site and it has not expired.
func (gate *Gate) Verify(assertion string) (*Visitor, error) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return nil, errInvalid
	}
	var header struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
	visitor := new(Visitor)
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || decode(parts[0], &header) != nil || decode(parts[1], visitor) != nil {
		return nil, errInvalid
	}
	key := gate.key(header.KeyID)
	if header.Algorithm != "EdDSA" || key == nil ||
		!ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), signature) {
		return nil, errInvalid
	}
	if visitor.Issuer != gate.siteURL || visitor.Audience != gate.audience || visitor.Account == "" ||
		time.Now().Unix() >= visitor.Expires {
		return nil, errInvalid
	}
	return visitor, nil
}

func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// key returns the key of that id: from memory, or fetched.
func (gate *Gate) key(id string) ed25519.PublicKey {
	gate.lock.Lock()
	defer gate.lock.Unlock()
	if _, known := gate.keys[id]; !known && time.Since(gate.fetched) > refetchMin {
		gate.fetched = time.Now()
		if err := gate.fetch(); err != nil {
			log.Printf("the keys cannot be fetched: %v", err)
		}
	}
	return gate.keys[id]
}

func (gate *Gate) fetch() error {
	answer, err := gate.client.Get(gate.siteURL + "/.well-known/tollgate/jwks.json")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var set struct {
		Keys []struct {
			KeyID string `json:"kid"`
			Type  string `json:"kty"`
			Curve string `json:"crv"`
			X     string `json:"x"`
		} `json:"keys"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
		return err
	}
	keys := map[string]ed25519.PublicKey{}
	for _, key := range set.Keys {
		bytes, err := base64.RawURLEncoding.DecodeString(key.X)
		if err == nil && key.Type == "OKP" && key.Curve == "Ed25519" && len(bytes) == ed25519.PublicKeySize {
			keys[key.KeyID] = bytes
		}
	}
	gate.keys = keys
	return nil
}

// Subscriber serves a page to those who paid, and refuses whoever came past the gate.
func (gate *Gate) Subscriber(page func(http.ResponseWriter, *http.Request, *Visitor)) http.HandlerFunc {
	return func(writer http.ResponseWriter, request *http.Request) {
		assertion := request.Header.Get("X-Entitlement-Assertion")
		if assertion == "" {
			answer(writer, http.StatusUnauthorized, map[string]any{"detail": "this page is served through Tollgate only"})
			return
		}
		visitor, err := gate.Verify(assertion)
		if err != nil {
			answer(writer, http.StatusUnauthorized, map[string]any{"detail": err.Error()})
			return
		}
		for _, feature := range visitor.Features {
			if feature == "archive" {
				page(writer, request, visitor)
				return
			}
		}
		answer(writer, http.StatusForbidden, map[string]any{"detail": "this page needs the feature `archive`"})
	}
}

// home is for everybody.
func (gate *Gate) home(writer http.ResponseWriter, request *http.Request) {
	tier := "stranger"
	if assertion := request.Header.Get("X-Entitlement-Assertion"); assertion != "" {
		visitor, err := gate.Verify(assertion)
		if err != nil {
			answer(writer, http.StatusUnauthorized, map[string]any{"detail": err.Error()})
			return
		}
		tier = setting(visitor.Tier, tier)
	}
	answer(writer, http.StatusOK, map[string]any{"page": "home", "greeting": "Welcome, " + tier + "!"})
}

// report is for those who paid.
func report(writer http.ResponseWriter, request *http.Request, visitor *Visitor) {
	answer(writer, http.StatusOK, map[string]any{
		"page": "report", "account": visitor.Account, "tier": visitor.Tier, "features": visitor.Features,
		"until": request.Header.Get("X-Entitlement-Valid-Until"),
	})
}

func answer(writer http.ResponseWriter, status int, body map[string]any) {
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(status)
	if err := json.NewEncoder(writer).Encode(body); err != nil {
		log.Printf("the client left: %v", err)
	}
}

func setting(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func main() {
	gate := &Gate{
		siteURL:  setting(os.Getenv("SITE_URL"), "http://127.0.0.1:8080"), // site.url in tollgate.toml
		audience: setting(os.Getenv("AUDIENCE"), "127.0.0.1"),             // identity.audience; by default the host of site.url
		client:   http.Client{Timeout: 5 * time.Second},
	}
	http.HandleFunc("/", gate.home)
	http.HandleFunc("/premium/report", gate.Subscriber(report))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+setting(os.Getenv("PORT"), "3000"), nil))
}
