import { friendsFindEachOther } from './friends.ts';

friendsFindEachOther(1);
