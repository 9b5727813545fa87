//! The commands of the IPVS family.

use std::fmt;

macro_rules! commands {
    ($($number:literal $variant:ident $name:literal $doc:literal;)+) => {
        /// A command of the IPVS family.
        ///
        /// ```
        /// use vsched::netlink::wire::Command;
        /// assert_eq!(Command::from_number(5), Some(Command::NewDest));
        /// assert_eq!(Command::NewDest.to_string(), "NEW_DEST");
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Command {
            $(#[doc = $doc] $variant = $number,)+
        }

        impl Command {
            /// All commands by number.
            pub const ALL: &'static [Command] = &[$(Command::$variant,)+];

            /// The command with this number, if it is one.
            pub fn from_number(number: u8) -> Option<Command> {
                match number {
                    $($number => Some(Command::$variant),)+
                    _ => None,
                }
            }

            /// The number on the wire.
            pub fn number(self) -> u8 {
                self as u8
            }

            /// The name in the kernel's header, without `IPVS_CMD_`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Command::$variant => $name,)+
                }
            }
        }
    };
}

commands! {
    1 NewService "NEW_SERVICE" "Adds a virtual service; also the answer to `GetService`.";
    2 SetService "SET_SERVICE" "Edits a virtual service.";
    3 DelService "DEL_SERVICE" "Deletes a virtual service with its servers.";
    4 GetService "GET_SERVICE" "Reads one virtual service or, as a dump, all.";
    5 NewDest "NEW_DEST" "Adds a real server; also the answer to `GetDest`.";
    6 SetDest "SET_DEST" "Edits a real server.";
    7 DelDest "DEL_DEST" "Deletes a real server.";
    8 GetDest "GET_DEST" "Reads the real servers of one service, as a dump.";
    9 NewDaemon "NEW_DAEMON" "Starts a synchronization daemon; also the answer to `GetDaemon`.";
    10 DelDaemon "DEL_DAEMON" "Stops a synchronization daemon.";
    11 GetDaemon "GET_DAEMON" "Reads the synchronization daemons, as a dump.";
    12 SetConfig "SET_CONFIG" "Sets connection timeouts; also the answer to `GetConfig`.";
    13 GetConfig "GET_CONFIG" "Reads the connection timeouts.";
    14 SetInfo "SET_INFO" "The answer to `GetInfo`; the kernel takes no such request.";
    15 GetInfo "GET_INFO" "Reads the version and the size of the connection table.";
    16 Zero "ZERO" "Sets the statistics of one service, or of all, to zero.";
    17 Flush "FLUSH" "Deletes all virtual services.";
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
