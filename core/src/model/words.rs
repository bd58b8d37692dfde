//! Enums whose values are words: on the wire, in the policy language, on the command line.
//!
//! Owns: that a word stands once, beside the value it means. Must not: know any of them.

/// An enum with the word of each value beside it: `ALL` and `WORDS` in the order in which they stand, `word()`,
/// `from_word()`, and the same words in JSON, written and read.
#[macro_export]
macro_rules! words {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $($(#[$of:meta])* $value:ident = $word:literal,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $value,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$value),+];
            /// Every value, after its word.
            pub const WORDS: [(&'static str, Self); Self::ALL.len()] = [$(($word, Self::$value)),+];

            /// The word.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }

            /// What a word means.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$value),)+
                    _ => None,
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.word())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = String::deserialize(from)?;
                let unknown = || serde::de::Error::unknown_variant(&word, &[$($word),+]);
                Self::from_word(&word).ok_or_else(unknown)
            }
        }

        $crate::schema_of_words!($name, $($word),+);
    };
}

/// Whether there is one is the core's to say, and not of the package that writes an enum with it.
#[cfg(feature = "for-tests")]
#[doc(hidden)]
#[macro_export]
macro_rules! schema_of_words {
    ($name:ident, $($word:literal),+) => {
        impl $crate::schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut $crate::schemars::SchemaGenerator) -> $crate::schemars::Schema {
                $crate::schemars::json_schema!({"type": "string", "enum": [$($word),+]})
            }
        }
    };
}

#[cfg(not(feature = "for-tests"))]
#[doc(hidden)]
#[macro_export]
macro_rules! schema_of_words {
    ($($of:tt)+) => {};
}

#[cfg(test)]
mod tests {
    use crate::model::group::Role;
    use crate::model::rule::Direction;

    #[test]
    fn a_value_is_its_word_everywhere() {
        for role in Role::ALL {
            assert_eq!(Role::from_word(role.word()), Some(role));
            let json = serde_json::to_string(&role).unwrap();
            assert_eq!(json, format!("\"{}\"", role.word()));
            assert_eq!(serde_json::from_str::<Role>(&json).unwrap(), role);
        }
        assert_eq!(Direction::WORDS, [("ingress", Direction::Ingress), ("egress", Direction::Egress)]);
    }

    #[test]
    fn another_word_is_refused_with_those_that_would_do() {
        assert_eq!(Direction::from_word("Ingress"), None);
        let error = serde_json::from_str::<Direction>("\"in\"").unwrap_err().to_string();
        assert!(error.contains("`in`") && error.contains("`ingress` or `egress`"), "{error}");
    }
}
