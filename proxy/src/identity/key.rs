//! A key that verifies tokens: always for one algorithm, which its owner states and no token can change.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey};
use entitlement::assertion::SECRET_BYTES_MIN;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};

/// Shortest RSA modulus, in bits (RFC 7518 section 3.3).
const RSA_BITS_MIN: usize = 2048;

/// Longest RSA modulus, in bits: beyond it the library verifies nothing, and a token would cost too much.
const RSA_BITS_MAX: usize = 8192;

/// Most keys of one file: the current one, and those that it replaces.
pub const FILE_KEYS_MAX: usize = 8;

/// A key that verifies tokens of one algorithm. `Debug` does not show it.
#[derive(Clone)]
pub struct Key {
    algorithm: Algorithm,
    /// The `kid` under which it was published.
    id: Option<String>,
    decoding: DecodingKey,
}

/// Why something is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the token secret is shorter than 32 bytes: use `openssl rand -hex 32`")]
    ShortSecret,
    #[error("it holds a private key: only the public half belongs here (`openssl pkey -pubout`)")]
    Private,
    #[error("it holds no public key in PEM, which begins with -----BEGIN PUBLIC KEY-----")]
    NoPem,
    #[error("it holds more than 8 keys")]
    TooMany,
    #[error("the key is not one for this algorithm, or not valid")]
    OtherAlgorithm,
    #[error("the RSA key has less than 2048 or more than 8192 bits, or an unusable exponent")]
    RsaSize,
    #[error("the key is a shared secret, which must not be published")]
    Shared,
    #[error("the key is published with its private half")]
    PrivateHalf,
    #[error("the key is not for signatures")]
    OtherUse,
    #[error("the key cannot be read")]
    Unreadable,
}

impl Key {
    /// A shared secret of 32 bytes or more, for HS256.
    ///
    /// # Errors
    /// When it is shorter.
    pub fn hs256(secret: &str) -> Result<Self, KeyError> {
        Self::shared(secret, Algorithm::HS256)
    }

    /// A shared secret of 32 bytes or more, for HS256, HS384 or HS512. For the longer two RFC 7518 (section 3.2) asks for one as
    /// long as the hash; sites have shorter ones, and 32 bytes cannot be guessed either.
    ///
    /// # Errors
    /// When it is shorter, or the algorithm has public keys.
    pub fn shared(secret: &str, algorithm: Algorithm) -> Result<Self, KeyError> {
        if algorithm.family() != AlgorithmFamily::Hmac {
            return Err(KeyError::OtherAlgorithm);
        }
        if secret.len() < SECRET_BYTES_MIN {
            return Err(KeyError::ShortSecret);
        }
        let decoding = DecodingKey::from_secret(secret.as_bytes());
        Ok(Self { algorithm, id: None, decoding })
    }

    /// The public keys of a PEM text, all for the same algorithm: the current one, and those that it replaces.
    ///
    /// # Errors
    /// When it holds anything but public keys of the algorithm's type.
    pub fn from_pem(pem: &str, algorithm: Algorithm) -> Result<Vec<Self>, KeyError> {
        const BEGIN: &str = "-----BEGIN ";
        let blocks: Vec<&str> = pem.split(BEGIN).skip(1).collect();
        if blocks.len() > FILE_KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        let keys: Vec<Self> = blocks
            .into_iter()
            .map(|block| {
                let label = block.split("-----").next().unwrap_or_default();
                match label {
                    "PUBLIC KEY" | "RSA PUBLIC KEY" => of_block(&format!("{BEGIN}{block}"), algorithm),
                    _ if label.contains("PRIVATE") => Err(KeyError::Private),
                    _ => Err(KeyError::NoPem),
                }
            })
            .collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(KeyError::NoPem) } else { Ok(keys) }
    }

    /// A published key, for this algorithm.
    ///
    /// # Errors
    /// When its type, its curve or its size are not those of the algorithm (RFC 7518 section 3.1).
    pub fn from_jwk(jwk: &Jwk, algorithm: Algorithm) -> Result<Self, KeyError> {
        let decoding = DecodingKey::from_jwk(jwk).map_err(|_| KeyError::Unreadable)?;
        match (algorithm.family(), &jwk.algorithm) {
            (_, AlgorithmParameters::OctetKey(_)) => return Err(KeyError::Shared),
            (AlgorithmFamily::Rsa, AlgorithmParameters::RSA(_)) => check_rsa(&decoding)?,
            (AlgorithmFamily::Ec, AlgorithmParameters::EllipticCurve(key)) => match (algorithm, &key.curve) {
                (Algorithm::ES256, EllipticCurve::P256) => check_point(&decoding, &ECDSA_P256_SHA256_FIXED)?,
                (Algorithm::ES384, EllipticCurve::P384) => check_point(&decoding, &ECDSA_P384_SHA384_FIXED)?,
                _ => return Err(KeyError::OtherAlgorithm),
            },
            (AlgorithmFamily::Ed, AlgorithmParameters::OctetKeyPair(key)) if key.curve == EllipticCurve::Ed25519 => {
                check_point(&decoding, &ED25519)?;
            }
            _ => return Err(KeyError::OtherAlgorithm),
        }
        Ok(Self { algorithm, id: jwk.common.key_id.clone(), decoding })
    }

    /// The only algorithm whose tokens it verifies.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it was published under this id.
    pub(super) fn has_id(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    /// Whether a token that names this key may mean it. A key without an id has none that could differ.
    pub(super) fn is_named(&self, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(ours), Some(named)) => ours == named,
            _ => true,
        }
    }

    pub(super) const fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    fn material(&self) -> (&[u8], &[u8]) {
        match self.decoding.kind() {
            DecodingKeyKind::SecretOrDer(bytes) => (bytes, &[]),
            DecodingKeyKind::RsaModulusExponent { n, e } => (n, e),
        }
    }
}

/// Only ever asked of public keys: it takes no care of time.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (self.algorithm, &self.id, self.material()) == (other.algorithm, &other.id, other.material())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {:?}, [redacted])", self.algorithm, self.id)
    }
}

/// The key of one PEM block, by way of its JWK, so that both are checked by the same rules.
fn of_block(pem: &str, algorithm: Algorithm) -> Result<Key, KeyError> {
    let key = match algorithm.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(pem.as_bytes()),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(pem.as_bytes()),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(pem.as_bytes()),
        AlgorithmFamily::Hmac => return Err(KeyError::OtherAlgorithm),
    };
    let jwk = key.and_then(|key| Jwk::from_decoding_key(&key, Some(algorithm)));
    Key::from_jwk(&jwk.map_err(|_| KeyError::OtherAlgorithm)?, algorithm)
}

fn check_rsa(key: &DecodingKey) -> Result<(), KeyError> {
    let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else { return Err(KeyError::Unreadable) };
    // With an exponent of 1 everybody could sign. Those in use have up to 33 bits.
    let usable_exponent = match e.as_slice() {
        [e] => *e >= 3 && e % 2 == 1,
        [first, .., last] => *first > 0 && last % 2 == 1 && e.len() <= 5,
        [] => false,
    };
    let is_odd = n.last().is_some_and(|last| last % 2 == 1);
    if (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits(n)) && usable_exponent && is_odd {
        Ok(())
    } else {
        Err(KeyError::RsaSize)
    }
}

/// The length of a number, without its leading zeros.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().position(|byte| *byte != 0).map_or(&[][..], |first| &number[first..]);
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

fn check_point(
    key: &DecodingKey,
    algorithm: &'static dyn aws_lc_rs::signature::VerificationAlgorithm,
) -> Result<(), KeyError> {
    let point = key.try_get_as_bytes().map_err(|_| KeyError::Unreadable)?;
    ParsedPublicKey::new(algorithm, point).map(drop).map_err(|_| KeyError::OtherAlgorithm)
}
