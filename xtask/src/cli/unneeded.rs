//! The arguments of `unneeded`.

use clap::Args;

use super::ImageArgs;

/// `unneeded`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  cargo xtask unneeded
  cargo xtask unneeded --prove --flavor coreos")]
pub struct Unneeded {
    /// Build and boot without them, in a scratch copy.
    ///
    /// Removes each group of lines as a whole, then bisects it to find the lines that
    /// must stay. Each step is a smoke test, which runs the tree's build with your rights.
    #[arg(long)]
    pub prove: bool,
    /// Stop after N boots [default: 24].
    ///
    /// Only with --prove. Lines that were not tested by then stay.
    #[arg(long, value_name = "N", default_value_t = 24, hide_default_value = true, requires = "prove")]
    pub max_boots: usize,
    /// Build and boot this flavor (repeatable).
    #[arg(long = "flavor", value_name = "NAME", requires = "prove")]
    pub flavors: Vec<String>,
    /// App for rkt: a docker reference or an .aci file.
    #[arg(long, value_name = "IMAGE", requires = "prove")]
    pub app: Option<String>,
    /// Argument for rkt's configure [env: XTASK_CONFIGURE].
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, requires = "prove")]
    pub configure: Vec<String>,
    /// Argument for make and make clean [env: XTASK_MAKE].
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, requires = "prove")]
    pub make: Vec<String>,
    /// Where the image comes from.
    #[command(flatten)]
    pub image: ImageArgs,
}
