//! Columns that hold a word of the model: written as its text, read back as itself. A word that is none of them makes the row unreadable,
//! which is told as the database's error; it is never taken for another one.

use sea_orm::sea_query::{
    ArrayType, ColumnType, Nullable, StringLen, Value, ValueType, ValueTypeErr,
};
use sea_orm::{ColIdx, DbErr, QueryResult, TryGetError, TryGetable};

use crate::model::event::{Delivery, Kind};
use crate::model::recorded::{Origin, SessionState};
use crate::model::rule::Format;

macro_rules! text_column {
    ($($type:ty),*) => {$(
        impl From<$type> for Value {
            fn from(word: $type) -> Self {
                word.as_str().into()
            }
        }

        impl TryGetable for $type {
            fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
                let text = String::try_get_by(row, index)?;
                Self::parse(&text).ok_or_else(|| {
                    let problem = format!("{text:?} is no {}", stringify!($type));
                    TryGetError::DbErr(DbErr::Type(problem))
                })
            }
        }

        impl ValueType for $type {
            fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
                let text = <String as ValueType>::try_from(value)?;
                Self::parse(&text).ok_or(ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($type).to_owned()
            }

            fn array_type() -> ArrayType {
                ArrayType::String
            }

            fn column_type() -> ColumnType {
                ColumnType::String(StringLen::None)
            }
        }

        impl Nullable for $type {
            fn null() -> Value {
                Value::String(None)
            }
        }
    )*};
}

text_column!(SessionState, Origin, Format, Kind, Delivery);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_was_written() {
        fn check<T: ValueType + Into<Value> + Copy + PartialEq + std::fmt::Debug>(words: &[T]) {
            for word in words {
                assert_eq!(T::try_from((*word).into()).unwrap(), *word);
            }
            assert!(T::try_from("nonsense".into()).is_err());
        }
        check(&[
            SessionState::Recording,
            SessionState::Paused,
            SessionState::Ended,
        ]);
        check(&[Origin::Auto, Origin::Index]);
        check(&[Format::M3u8, Format::Mp4, Format::Flv, Format::Cmaf]);
        check(&Kind::ALL);
        check(&[Delivery::Pending, Delivery::Success, Delivery::Failed]);
    }
}
