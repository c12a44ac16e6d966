//! Every engine on every model against answers of the original Python libraries.
