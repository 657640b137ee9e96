// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Content, Status} from "../src/Types.sol";
import {Handler} from "./Handler.sol";

/// @title What holds after any history of calls by anybody.
contract OrdersInvariantTest {
    uint256 private constant ALL = 15;
    Handler private handler;

    function setUp() public {
        handler = new Handler();
    }

    /// @notice Whom forge may call.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_of_all_orders() external view {
        require(bytes(handler.broken()).length == 0, handler.broken());
        Content[] memory cs = handler.known();
        uint256[] memory words = handler.words();
        onlyEverySeatsApprovalReleases(words);
        oneLiveOrderPerEvidence(cs, words);
        emergenciesAreCountedAndCapped(cs, words);
    }

    function onlyEverySeatsApprovalReleases(uint256[] memory words) private pure {
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 w = words[i];
            Status s = Status(w >> 248);
            bool contested = (w >> 241) & 1 != 0;
            if (s == Status.Validated || s == Status.Ratified || s == Status.Cancelled) require(uint64(w) == ALL, "approved");
            if (s == Status.Completed && !contested) require(uint64(w) == ALL, "completed");
            if (s == Status.Contested || contested) require((w >> 240) & 1 != 0, "was no emergency");
            if (s == Status.Proposed || s == Status.Emergency) require(uint64(w) != ALL && uint64(w >> 64) == 0, "settled");
        }
    }

    function oneLiveOrderPerEvidence(Content[] memory cs, uint256[] memory words) private pure {
        for (uint256 i = 0; i < cs.length; ++i) {
            for (uint256 j = 0; j < i; ++j) {
                bool same = cs[i].evidence == cs[j].evidence;
                require(!(same && holding(words[i]) && holding(words[j])), "two live orders");
            }
        }
    }

    function holding(uint256 w) private pure returns (bool) {
        uint256 s = w >> 248;
        if (s == 9) return (w >> 241) & 1 == 0 || uint8(w >> 232) != 4;
        return s != 0 && (s < 5 || s > 7);
    }

    function emergenciesAreCountedAndCapped(Content[] memory cs, uint256[] memory words) private view {
        (uint256 sum, uint256 count) = (0, 0);
        for (uint256 i = 0; i < cs.length; ++i) {
            if (words[i] >> 248 != uint256(Status.Emergency)) continue;
            (sum, count) = (sum + (cs[i].cost == 0 ? 1 : cs[i].cost), count + 1);
        }
        (uint256 openCost, uint256 open, uint256 contestedCost, uint256 contested) = handler.counters();
        require(openCost == sum && open == count, "counted");
        require(openCost + contestedCost <= 100_000 && open + contested <= 3, "cap");
    }
}
