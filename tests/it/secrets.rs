//! Secrets over the whole product.

mod sealing;
