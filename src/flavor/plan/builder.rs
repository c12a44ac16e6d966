//! Builds plans, checking that their steps fit.

use smallvec::SmallVec;

use crate::flavor::refusal::{Refusal, refuse};

use super::value::{Form, Kind};
use super::{Argument, Axes, Empty, Node, Plan, Register, Step};

/// Steps a plan may have; a pipeline of real life has some dozens.
const MAX_STEPS: usize = 100_000;

/// Columns a register may have: those of a wide one-hot encoding and then some.
pub const MAX_WIDTH: usize = 1 << 22;

/// A plan that is being built.
pub struct Builder {
    nodes: Vec<Node>,
    /// Of each register, those of the inputs first.
    forms: Vec<Form>,
    inputs: usize,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::with_inputs(vec![Form {
            kind: Kind::Input,
            width: 0,
        }])
    }
}

impl Builder {
    /// A plan of several inputs of these forms, which are its first registers.
    pub fn with_inputs(forms: Vec<Form>) -> Builder {
        Builder {
            nodes: Vec::new(),
            inputs: forms.len(),
            forms,
        }
    }

    /// The register of an input.
    pub fn input(&self, position: usize) -> Option<Register> {
        (position < self.inputs).then_some(Register(position))
    }

    /// Adds a step that reads `inputs`, and gives the register of its result.
    ///
    /// # Errors
    /// When the inputs do not fit the step.
    pub fn push(&mut self, step: impl Step + 'static, inputs: &[Register]) -> Result<Register, Refusal> {
        if self.nodes.len() >= MAX_STEPS {
            refuse!("the model has more than {MAX_STEPS} steps");
        }
        let forms: SmallVec<[Form; 4]> = inputs.iter().map(|register| self.form(*register)).collect();
        let form = step
            .form(&forms)
            .map_err(|why| Refusal::new(why).within(step.describe()))?;
        if form.width > MAX_WIDTH {
            refuse!("{}: {} columns, at most {MAX_WIDTH}", step.describe(), form.width);
        }
        self.nodes.push(Node {
            step: Box::new(step),
            arguments: inputs
                .iter()
                .map(|&register| Argument {
                    register,
                    last: false,
                })
                .collect(),
        });
        self.forms.push(form);
        Ok(Register(self.forms.len() - 1))
    }

    /// What a register holds.
    pub fn form(&self, register: Register) -> Form {
        let nothing = Form {
            kind: Kind::Input,
            width: 0,
        };
        self.forms.get(register.0).copied().unwrap_or(nothing)
    }

    /// The plan whose answer is `answer`.
    ///
    /// # Errors
    /// When the answer is the request itself, or a vector of several columns.
    pub fn finish(self, answer: Register, axes: Axes, empty: Empty) -> Result<Plan, Refusal> {
        let form = self.form(answer);
        if form.kind == Kind::Input {
            refuse!("the model computes nothing");
        }
        if axes == Axes::Vector && form.width != 1 {
            refuse!("the answer has {} columns instead of one", form.width);
        }
        Ok(Plan {
            axes,
            empty,
            ..self.finish_several(&[answer])
        })
    }

    /// The plan with these answers, for [`Plan::compute`].
    pub fn finish_several(mut self, answers: &[Register]) -> Plan {
        let mut read_later = vec![false; self.forms.len()];
        for answer in answers {
            if let Some(read) = read_later.get_mut(answer.0) {
                *read = true;
            }
        }
        for node in self.nodes.iter_mut().rev() {
            for at in (0..node.arguments.len()).rev() {
                // Of one register given twice to a step, the later one may take it only if no earlier one reads it.
                let repeated =
                    node.arguments.iter().enumerate().any(|(other, argument)| {
                        other != at && argument.register == node.arguments[at].register
                    });
                let register = node.arguments[at].register.0;
                if let Some(read) = read_later.get_mut(register) {
                    node.arguments[at].last = !*read && !repeated;
                }
            }
            for argument in &node.arguments {
                if let Some(read) = read_later.get_mut(argument.register.0) {
                    *read = true;
                }
            }
        }
        Plan {
            nodes: self.nodes,
            inputs: self.inputs,
            answers: answers.iter().copied().collect(),
            axes: Axes::Matrix,
            empty: Empty::Answered,
        }
    }
}
